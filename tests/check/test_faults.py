"""postern check against servers with a known fault each: is the verdict the cause? Ends with a table, cause by verdict."""
from faults_own import *  # noqa: F401,F403  (the loader takes the classes)
from faults_peers import *  # noqa: F401,F403
from faults_scripted import *  # noqa: F401,F403
