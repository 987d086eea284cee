"""What the tests, the benches and the demo need around the product; none of it is installed with the product."""
