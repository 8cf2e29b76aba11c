"""The contract of a model (`ratchet.taggers`) as checks that run without pytest: `ratchet models check NAME`.

`tests/contracts` runs the same checks over every model of the package.
"""

from ratchet.contract.running import CHECKS as CHECKS
from ratchet.contract.running import Outcome as Outcome
from ratchet.contract.running import Status as Status
from ratchet.contract.running import run_check as run_check
from ratchet.contract.running import run_checks as run_checks
from ratchet.contract.subject import Check as Check
from ratchet.contract.subject import ContractBroken as ContractBroken
from ratchet.contract.subject import NotChecked as NotChecked
from ratchet.contract.subject import Subject as Subject
from ratchet.contract.subject import make_subject as make_subject
