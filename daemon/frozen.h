/*
 * frozen.h - memory that a process has finished writing to, and that the many it forks hardly touch: taken out of what fork(2) copies.
 * Runs in: gate nursery. Trusts: its caller.
 *
 * For each page that a process has written to, fork copies an entry of its page table, and the child's end takes it down again. What
 * maps a file privately has none until it is written to: so these pages are put into a file in memory (memfd_create(2)), which nobody
 * has a descriptor of afterwards, and are mapped from it where they were. A page that is written to later is copied, as ever.
 */
#ifndef POSTERN_FROZEN_H
#define POSTERN_FROZEN_H

/*
 * The pages from..to, private memory of this process, whole pages, with the protection that they have (PROT_READ, PROT_WRITE). 0, or
 * -1 and errno: they are as they were. Ends the process where they are neither.
 */
int freeze_pages(void *from, void *to, int protection);

/*
 * Of large shared objects what relocation wrote to (PT_GNU_RELRO, read-only since) and their variables; and the heap from that address,
 * which was sbrk(0) before the first malloc(3), to its end. What cannot be had stays as it is.
 */
void freeze_program(void *heap);

#endif
