"""What the tab "Open a file" says."""

INTRO = "A `.qann` file back to a picture, with all that its header says."

HINT = """
<p class='quiet'>Download one on the Compare tab, or make one with the command
<code>qann compress</code>, and drop it here. You will see the picture that plain decoding gives
beside the restored one, what each field of the header means, and which part takes how many
bytes.</p>
"""
