"""What the behaviour tests share: the official SDK as a client, raw bytes, and the facts of the protocol."""
