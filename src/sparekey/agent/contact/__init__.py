"""Contact with the server: enrolment, sync, unit fetch, and the schedule."""
