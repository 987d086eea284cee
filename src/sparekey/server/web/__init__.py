"""What the pages of both consoles stand on: a registry of pages, what a visitor asks, what a page answers, the frame
around it, and the rules of the browser (S61).
"""
