"""What forecasts: linear models a horizon and trees upon them, from own history, published sources or all zones."""
