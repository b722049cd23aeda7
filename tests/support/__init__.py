"""What tests stand on: servers, proxies, waiting."""
