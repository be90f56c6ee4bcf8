def explain(e):
    return ()
