"""What a recipient's application is told of its grants, without asking: security event tokens, pushed and polled."""
