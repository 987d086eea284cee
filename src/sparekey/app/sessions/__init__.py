"""Sessions at the consoles and over REST: open, prove and end them."""
