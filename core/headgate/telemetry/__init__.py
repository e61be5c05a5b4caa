"""What the server tells about itself: logs, metrics, health; not what it tells about builds."""
