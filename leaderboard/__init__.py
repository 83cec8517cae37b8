"""The leaderboard: a Streamlit app that reads ``board/`` and nothing else."""
