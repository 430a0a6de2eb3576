"""The manifests of the platform team, and what renders and checks them."""
