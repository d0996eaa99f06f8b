"""`GET /v1/events/{message_id}`: every event that was accepted, also those that identity has put aside."""
