"""Records, log, receipts: what nobody can rewrite and anybody can check."""

from heliotrope.prove.ledger import Ledger
from heliotrope.prove.receipt import Verdict
from heliotrope.prove.receipt import verify as verify_receipt
from heliotrope.prove.record import Statement
from heliotrope.prove.statements import Training, TrainingStep, plan_statement, run_statement

__all__ = [
    "Ledger",
    "Statement",
    "Training",
    "TrainingStep",
    "Verdict",
    "plan_statement",
    "run_statement",
    "verify_receipt",
]
