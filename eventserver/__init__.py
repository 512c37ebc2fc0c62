"""The event server: takes events over HTTP, validates them and keeps them."""
