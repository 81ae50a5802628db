"""Tests on a real Kubernetes API server, and the control plane they run on."""
