"""The embedded demonstration: 24 days of one patient through virtual devices, a real broker and a real centre.

Only the patient and the devices are played; everything that receives them is the production code.
"""
