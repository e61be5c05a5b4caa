"""The HTTP side: webhooks, API, access; not what they set in motion. The only room that speaks aiohttp.web."""
