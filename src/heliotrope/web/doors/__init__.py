"""Where others come in: members with a token, agents with a key, each judged by the room that knows them."""
