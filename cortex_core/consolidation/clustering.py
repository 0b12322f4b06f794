"""Groups of memories that are about the same: agglomerative clustering with average linkage on cosine distances.

What TDD 8.4 takes from scikit-learn, for at most 200 memories: that would be two packages of 190 MB, and takes as many
milliseconds as these lines.
"""

from collections.abc import Sequence

import numpy as np

from cortex_core.models import Vector


def cluster_by_similarity(vectors: Sequence[Vector], threshold: float) -> list[list[int]]:
    """Return the clusters of some vectors, as their places in the order given; single ones are left out.

    The two clusters that are closest on average are joined again and again, until none are as similar as the threshold
    (scikit-learn's `AgglomerativeClustering(metric="cosine", linkage="average", distance_threshold=1 - threshold)`).

    Args:
        vectors: Of unit length.
        threshold: The least mean cosine between the members of two clusters that are joined.
    """
    clusters = {place: [place] for place in range(len(vectors))}
    if not clusters:
        return []
    matrix = np.stack(vectors).astype(np.float64)
    distance = 1.0 - matrix @ matrix.T
    np.fill_diagonal(distance, np.inf)
    while len(clusters) > 1:
        one, other = sorted(map(int, np.unravel_index(distance.argmin(), distance.shape)))
        if distance[one, other] >= 1.0 - threshold:
            break
        a, b = len(clusters[one]), len(clusters[other])
        joined = (a * distance[one] + b * distance[other]) / (
            a + b
        )  # the mean over all pairs (Lance and Williams 1967)
        distance[one, :] = distance[:, one] = joined
        distance[other, :] = distance[:, other] = np.inf
        distance[one, one] = np.inf
        clusters[one] += clusters.pop(other)
    return sorted(sorted(cluster) for cluster in clusters.values() if len(cluster) > 1)
