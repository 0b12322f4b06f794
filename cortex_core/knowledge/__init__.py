"""What is held true: identity, the projection of an owner's current facts."""
