"""What programs on the way wrote down of each request or connection: Envoy's access logs and the kernel's conntrack."""
