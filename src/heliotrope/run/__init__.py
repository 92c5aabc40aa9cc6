"""The life of a run: pure state machine, controller, engines."""
