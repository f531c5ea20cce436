"""What is shown: heat, tiles, folium maps."""
