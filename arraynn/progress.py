"""temporary"""
def progress_for(verbose, epochs): return []
