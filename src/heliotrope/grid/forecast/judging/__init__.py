"""What a forecast is worth: replayed over the past, with intervals that hold and the saving that plans on it keep."""
