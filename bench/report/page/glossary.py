"""Words of the page, each with a sentence; the page shows them as tooltips and as a list."""

GLOSSARY = {
    "estimator": "A way to compute the gradient of a loss of a fixed point; its label is the call that makes it.",
    "application": "One evaluation of the operator T, an iteration.",
    "product": "An application or a vector–Jacobian product (VJP), the derivative of one application times a vector.",
    "tape": "Tensors that the forward pass keeps for the backward pass; most of the memory of a training step.",
    "equilibrium": "The fixed point of the learned operator, the limit of its iterates.",
    "L": "A bound on the Lipschitz constant of the operator; below 1 it contracts, and the theory applies.",
    "gradient error": "Distance to the exact implicit gradient, divided by the norm of that.",
    "reference": "The exact gradient of a task: both equations solved below 1e-10, and checked.",
    "measurement": "What the camera or scanner records: the image after blur, mask or projection, with noise.",
    "bare loop": "The same applications and products without an estimator around them, timed beside each round.",
    "seed": "Decides the crops, masks and noise of a repetition.",
}
