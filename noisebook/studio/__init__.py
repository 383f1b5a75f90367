"""The page of `noisebook studio`: drop a sound, choose a method, hear and see what becomes of it.

settings     what the page can be asked for, and its form in an address
files        a visitor's file -> a sound or a stream, or a sentence that says why not; the files of results
jobs         settings and a sound -> results: plain functions, without a page
runner       jobs for many visitors at once: one after the other, cancelled, cleaned up
rendering    a result -> HTML
page, server the thin rest: Gradio's components and the web server
templates/   the element that shows a result, its player and its spectrogram, drawn in the page
"""
