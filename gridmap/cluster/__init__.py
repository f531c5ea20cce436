"""Parts of the private database cluster; the door is `gridmap.embedded.Cluster`."""
