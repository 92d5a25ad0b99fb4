"""Room 2: the adapters, what stands outside: registry and tracking (MLflow), endpoint (supervisord and Envoy), forge (GitHub)."""
