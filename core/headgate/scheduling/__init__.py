"""What happens by itself: deliveries waiting to be routed, polls; each only brings facts to the flow."""
