"""Programs around the product for tests, benchmarks and the demo; none of them is installed with the product."""
