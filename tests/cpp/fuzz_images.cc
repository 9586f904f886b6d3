// SPDX-License-Identifier: MIT
// The TV prox of small images by minimum cuts, in long double, with a proof; no code of the
// library.
//
//   y = argmin 1/2 sum_k (y_k - x_k)^2 + sum_e w_e |y_a - y_b|        over the edges e = (a, b)
//
// Method: a region on which the sides of all edges to other regions are known has the mean level
// b = mean(x'), x' = x -+ w for an edge to a lower (higher) region. Its part above b is a minimum
// cut: each pixel has x' - b to give away, each edge carries at most w (D. Hochbaum, "An Efficient
// Algorithm for Image Segmentation, Markov Random Fields and Related Problems", JACM 48, 2001). If
// all can be given away the region is constant and the flow is its dual; else it splits. Flows:
// E. Dinic, "Algorithm for Solution of a Problem of Maximum Flow in a Network with Power
// Estimation", Soviet Mathematics Doklady 11, 1970.
//
// Proof: edge duals p with |p_e| <= w_e and p_e = w_e sign(y_a - y_b) where y jumps make y the prox
// of y + D^T p, exactly. The prox does not expand distances, so y is no further from the prox of x
// than || y + D^T p - x ||, which is what rounding leaves.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

using Real = long double;

struct Edge {
  int a, b;
  Real w, dual;
  bool cut;  // between regions
};

class Solver {
 public:
  Solver(std::vector<Real> x, std::vector<Edge> edges)
      : x_(std::move(x)),
        pulled_(x_),
        y_(x_.size()),
        edges_(std::move(edges)),
        arcs_(x_.size()),
        region_(x_.size(), -1),
        gives_(x_.size()),
        takes_(x_.size()),
        level_(x_.size()),
        next_(x_.size()),
        capacity_(2 * edges_.size()) {
    Real mean = 0;
    for (const Real value : x_) mean += value / Real(x_.size());
    for (const Real value : x_) total_ += std::fabs(value - mean);
    for (size_t e = 0; e < edges_.size(); ++e) {
      edges_[e].w = std::min(edges_[e].w, 2 * total_);  // no flow is larger
      arcs_[edges_[e].a].push_back(int(2 * e));
      arcs_[edges_[e].b].push_back(int(2 * e + 1));
    }
  }

  void Solve() {
    std::vector<int> all(x_.size());
    for (size_t k = 0; k < all.size(); ++k) all[k] = int(k);
    std::vector<std::vector<int>> open = {all};
    while (!open.empty()) {
      const std::vector<int> region = std::move(open.back());
      open.pop_back();
      const Real level = Level(region);
      const Real left = Flow(region, level);
      std::vector<int> above, rest;
      for (const int k : region) (level_[size_t(k)] >= 0 ? above : rest).push_back(k);
      if (left <= 1e-17L * total_ || above.empty() || rest.empty()) {
        for (const int k : region) y_[size_t(k)] = level;
        KeepDuals(region);
        continue;
      }
      Cut(region);
      open.push_back(std::move(above));
      open.push_back(std::move(rest));
    }
  }

  // The proven distance of y to the prox; infinite if y contradicts its duals.
  Real Slack() const {
    std::vector<Real> off(x_.size());
    for (size_t k = 0; k < x_.size(); ++k) off[k] = y_[k] - x_[k];
    for (const Edge& e : edges_) {
      const Real step = y_[size_t(e.a)] - y_[size_t(e.b)];
      if (std::fabs(e.dual) > e.w || (step > 0 && e.dual != e.w) || (step < 0 && e.dual != -e.w)) {
        return std::numeric_limits<Real>::infinity();
      }
      off[size_t(e.a)] += e.dual;
      off[size_t(e.b)] -= e.dual;
    }
    Real square = 0;
    for (const Real value : off) square += value * value;
    return std::sqrt(square);
  }

  const std::vector<Real>& y() const { return y_; }

 private:
  Real Level(const std::vector<int>& region) const {
    Real sum = 0;
    for (const int k : region) sum += pulled_[size_t(k)] - pulled_[size_t(region[0])];
    return pulled_[size_t(region[0])] + sum / Real(region.size());
  }

  int Head(int arc) const {
    return arc % 2 ? edges_[size_t(arc / 2)].a : edges_[size_t(arc / 2)].b;
  }

  bool Inside(int arc, int number) const {
    return !edges_[size_t(arc / 2)].cut && region_[size_t(Head(arc))] == number;
  }

  // A maximum flow within a region; returns what could not be given away. Afterwards level_ is not
  // negative for the pixels above the level.
  Real Flow(const std::vector<int>& region, Real level) {
    ++number_;
    for (const int k : region) {
      const Real excess = pulled_[size_t(k)] - level;
      region_[size_t(k)] = number_;
      gives_[size_t(k)] = std::max(excess, Real(0));
      takes_[size_t(k)] = std::max(-excess, Real(0));
      for (const int arc : arcs_[size_t(k)]) capacity_[size_t(arc)] = edges_[size_t(arc / 2)].w;
    }
    while (Layers(region)) {
      for (const int k : region) next_[size_t(k)] = 0;
      for (const int k : region) {
        while (gives_[size_t(k)] > 0) {
          const Real sent = Send(k, gives_[size_t(k)]);
          if (sent == 0) break;
          gives_[size_t(k)] -= sent;
        }
      }
    }
    Real left = 0;
    for (const int k : region) left += gives_[size_t(k)];
    return left;
  }

  // Distances from the pixels with something left to give; whether one that takes is in reach.
  bool Layers(const std::vector<int>& region) {
    std::vector<int> queue;
    bool reached = false;
    for (const int k : region) {
      level_[size_t(k)] = gives_[size_t(k)] > 0 ? 0 : -1;
      if (level_[size_t(k)] == 0) queue.push_back(k);
    }
    for (size_t i = 0; i < queue.size(); ++i) {
      const int k = queue[i];
      reached = reached || takes_[size_t(k)] > 0;
      for (const int arc : arcs_[size_t(k)]) {
        const int to = Head(arc);
        if (!Inside(arc, number_) || capacity_[size_t(arc)] <= 0 || level_[size_t(to)] >= 0)
          continue;
        level_[size_t(to)] = level_[size_t(k)] + 1;
        queue.push_back(to);
      }
    }
    return reached;
  }

  // Sends at most `amount` from a pixel along shortest paths.
  Real Send(int k, Real amount) {
    const Real taken = std::min(amount, takes_[size_t(k)]);
    if (taken > 0) {
      takes_[size_t(k)] -= taken;
      return taken;
    }
    for (size_t& i = next_[size_t(k)]; i < arcs_[size_t(k)].size(); ++i) {
      const int arc = arcs_[size_t(k)][i], to = Head(arc);
      if (!Inside(arc, number_) || capacity_[size_t(arc)] <= 0) continue;
      if (level_[size_t(to)] != level_[size_t(k)] + 1) continue;
      const Real sent = Send(to, std::min(amount, capacity_[size_t(arc)]));
      if (sent == 0) continue;
      capacity_[size_t(arc)] -= sent;
      capacity_[size_t(arc ^ 1)] += sent;
      return sent;
    }
    return 0;
  }

  void KeepDuals(const std::vector<int>& region) {
    for (const int k : region) {
      for (const int arc : arcs_[size_t(k)]) {
        if (arc % 2 == 0 && Inside(arc, number_)) {
          Edge& e = edges_[size_t(arc / 2)];
          e.dual = std::clamp((capacity_[size_t(arc + 1)] - capacity_[size_t(arc)]) / 2, -e.w, e.w);
        }
      }
    }
  }

  // Separates the pixels of a region above the level from the others.
  void Cut(const std::vector<int>& region) {
    for (const int k : region) {
      for (const int arc : arcs_[size_t(k)]) {
        const size_t to = size_t(Head(arc));
        if (!Inside(arc, number_) || level_[size_t(k)] < 0 || level_[to] >= 0) continue;
        Edge& e = edges_[size_t(arc / 2)];
        e.cut = true;
        e.dual = arc % 2 ? -e.w : e.w;
        pulled_[size_t(k)] -= e.w;
        pulled_[to] += e.w;
      }
    }
  }

  std::vector<Real> x_, pulled_, y_;
  std::vector<Edge> edges_;
  std::vector<std::vector<int>> arcs_;  // for each pixel: 2 e from a to b, 2 e + 1 back
  std::vector<int> region_;
  std::vector<Real> gives_, takes_;
  std::vector<int> level_;
  std::vector<size_t> next_;
  std::vector<Real> capacity_;  // what each arc can still carry
  Real total_ = 0;
  int number_ = 0;
};

std::vector<Edge> EdgesOf(int64_t axes, const int64_t* size, const double* w) {
  std::vector<Edge> edges;
  int64_t pixels = 1, stride = 1;
  for (int64_t a = 0; a < axes; ++a) pixels *= size[a];
  for (int64_t a = axes; a-- > 0; stride *= size[a]) {
    for (int64_t k = 0; k < pixels; ++k) {
      if (k / stride % size[a] + 1 == size[a]) continue;
      edges.push_back({int(k), int(k + stride), Real(w[a * pixels + k]), 0, false});
    }
  }
  return edges;
}

}  // namespace

// For each of `count` images of `pixels` numbers: the prox, the distance of a candidate to it, and
// how exact that is. Weights are [image, axis, pixel], of the edge to the next pixel along the
// axis.
extern "C" void fuzz_images_compare(int64_t count, int64_t axes, const int64_t* size,
                                    const double* x, const double* w, const double* candidate,
                                    double* y, double* distance, double* slack) {
  int64_t pixels = 1;
  for (int64_t a = 0; a < axes; ++a) pixels *= size[a];
  for (int64_t i = 0; i < count; ++i) {
    // Less its first pixel: no digits for an offset.
    const double* const image = x + i * pixels;
    std::vector<Real> shifted;
    Real most = 0, square = 0;
    for (int64_t k = 0; k < pixels; ++k) {
      shifted.push_back(Real(image[k]) - Real(image[0]));
      most = std::max(most, std::fabs(Real(image[k])));
    }
    Solver solver(shifted, EdgesOf(axes, size, w + i * axes * pixels));
    solver.Solve();
    for (int64_t k = 0; k < pixels; ++k) {
      const Real level = solver.y()[size_t(k)];
      const Real off = Real(candidate[i * pixels + k]) - Real(image[0]) - level;
      square += off * off;
      y[i * pixels + k] = double(level + Real(image[0]));
    }
    distance[i] = double(std::sqrt(square));
    slack[i] = double(solver.Slack() + 0x1p-60L * most * std::sqrt(Real(pixels)));
  }
}
