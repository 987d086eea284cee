"""Sign in with a passcode: one verification behind every door, and the challenges that may follow."""
