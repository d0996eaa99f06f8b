"""Long-running work: started by a request, done in steps by a worker, asked about and cancelled over HTTP.

A service that has such work names its handlers in `Service.operations` and has the tables of `add_operation_tables`.
A handler does one step in one transaction, in which what it did and where it stands (`Step.progress`) are committed
together: whoever dies in between loses one step and doubles none. An infrastructure error puts the step off; a
`Problem` that a handler raises is the operation's error, as it would be a request's.
"""

from perennial.common.operations.files import PART, save
from perennial.common.operations.out import OperationOut
from perennial.common.operations.starting import accepted, cancel, start
from perennial.common.operations.steps import OperationHandler, Step
from perennial.common.operations.tables import add_operation_tables, create_operation_tables, drop_operation_tables
from perennial.common.web.prefer import Async

__all__ = [
    "PART",
    "Async",
    "OperationHandler",
    "OperationOut",
    "Step",
    "accepted",
    "add_operation_tables",
    "cancel",
    "create_operation_tables",
    "drop_operation_tables",
    "save",
    "start",
]
