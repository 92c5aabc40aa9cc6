"""The house's side: lets agents in, gives them work, and believes of what they report what can be true."""
