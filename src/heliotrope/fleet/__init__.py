"""Sites, devices and their shares: where work can run."""
