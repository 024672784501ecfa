/*
 * model.h - what is at random in a history of a maildrop.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_MODEL_H
#define POSTERN_MODEL_H

#include "tests/unit/storage/index_scratch.h"

static unsigned seed;
static unsigned made;  /* messages so far: no two have one name, or one Subject */

static inline unsigned pick(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

#endif
