# As RKE2 v1.34.10 builds it: go-mod-overrides of its image-build repository.
-replace golang.org/x/net=golang.org/x/net@v0.56.0
-replace golang.org/x/text=golang.org/x/text@v0.39.0
-replace golang.org/x/crypto=golang.org/x/crypto@v0.52.0
-replace github.com/go-openapi/swag=github.com/go-openapi/swag@v0.23.0
-replace github.com/prometheus/prometheus=github.com/prometheus/prometheus@v0.311.3
-replace google.golang.org/grpc=google.golang.org/grpc@v1.82.1
-replace go.opentelemetry.io/otel/sdk=go.opentelemetry.io/otel/sdk@v1.43.0
