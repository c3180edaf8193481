"""Train learned regularisers for denoising, at the equilibrium of their gradient step."""
