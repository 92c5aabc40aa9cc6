"""Records, log, receipts: what nobody can rewrite and anybody can check."""

from heliotrope.prove.ledger import Ledger
from heliotrope.prove.records.receipt import Verdict
from heliotrope.prove.records.receipt import verify as verify_receipt
from heliotrope.prove.records.record import Statement
from heliotrope.prove.records.statements import Training, TrainingStep, plan_statement, run_statement

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
