"""Records, log, receipts: what nobody can rewrite and anybody can check."""

from heliotrope.prove.ledger import Ledger
from heliotrope.prove.receipt import Verdict
from heliotrope.prove.receipt import verify as verify_receipt
from heliotrope.prove.record import Statement
from heliotrope.prove.statements import Training, plan_statement, run_statement

__all__ = ["Ledger", "Statement", "Training", "Verdict", "plan_statement", "run_statement", "verify_receipt"]
