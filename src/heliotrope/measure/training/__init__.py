"""Training loops: run, epochs and steps as windows, ranks as one, callbacks for the frameworks."""
