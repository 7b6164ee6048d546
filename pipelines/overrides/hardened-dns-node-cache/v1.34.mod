# As RKE2 v1.34.10 builds it: go-mod-overrides of its image-build repository.
-replace golang.org/x/net=golang.org/x/net@v0.56.0
-replace golang.org/x/text=golang.org/x/text@v0.39.0
-replace golang.org/x/crypto=golang.org/x/crypto@v0.52.0
-replace github.com/quic-go/quic-go=github.com/quic-go/quic-go@v0.59.1
-replace github.com/coredns/coredns=github.com/coredns/coredns@v1.14.3
-replace google.golang.org/grpc=google.golang.org/grpc@v1.82.1
-replace go.opentelemetry.io/otel/sdk=go.opentelemetry.io/otel/sdk@v1.43.0
-replace github.com/DataDog/dd-trace-go/v2=github.com/DataDog/dd-trace-go/v2@v2.8.1
