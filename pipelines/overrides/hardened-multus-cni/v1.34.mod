# As RKE2 v1.34.10 builds it: go-mod-overrides of its image-build repository.
-replace golang.org/x/net=golang.org/x/net@v0.56.0
-replace golang.org/x/text=golang.org/x/text@v0.39.0
-replace google.golang.org/grpc=google.golang.org/grpc@v1.82.1
