"""What warm starts and L-BFGS save where each step sees a part of the data."""
