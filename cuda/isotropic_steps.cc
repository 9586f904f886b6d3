// SPDX-License-Identifier: MIT
// CUDA handler of iterations on images whose differences are coupled
// (jaxtv/_operators/isotropic_steps.py). Its last result is work space.
#include "cuda/common/call.h"
#include "cuda/isotropic/steps.h"
#include "ffi/coupled.h"
#include "ffi/handlers.h"

namespace jaxtv {
namespace {

ffi::Error Refuse(const std::string& why) {
  return ffi::Error::InvalidArgument("jaxtv: iterations on images " + why);
}

// The operands of a call that broadcast, and the batch axes of images, of which neighbours are one
// where no operand can tell.
class Fields {
 public:
  Fields(const CoupledImages& call, cuda::CallScope* scope) : call_(call), scope_(scope) {}

  template <typename T>
  void Add(ffi::AnyBuffer operand, const Strides& strides, cuda::Field<T>* field) {
    scope_->Input(operand, "an operand");
    field->data = static_cast<const T*>(operand.untyped_data());
    for (size_t a = 0; a < strides.image.size(); ++a) field->stride[a] = int(strides.image[a]);
    all_.push_back({&strides.batch, field->batch});
  }

  template <typename T>
  ffi::Error SetBatch(cuda::Iterations<T>* p) const {
    const auto& sizes = call_.images.batch;
    p->images = call_.images.count;
    for (size_t d = 0; d < sizes.size(); ++d) {
      if (sizes[d] == 1) continue;
      if (p->batch_axes > 0 && Continues(d, sizes[d], p->batch_axes - 1)) {
        p->batch[p->batch_axes - 1] *= sizes[d];
      } else if (p->batch_axes == cuda::kMaxBatch) {
        return Refuse("of shape " + ToString(call_.x.dimensions()) + " have too many batch axes");
      } else {
        p->batch[p->batch_axes++] = sizes[d];
      }
      for (const auto& [batch, to] : all_) to[p->batch_axes - 1] = (*batch)[d];
    }
    return ffi::Error::Success();
  }

 private:
  struct Each {
    const std::vector<int64_t>* batch;
    int64_t* to;
  };

  // Whether batch axis d lies within the merged axis `last` in every operand.
  bool Continues(size_t d, int64_t size, int last) const {
    for (const auto& [batch, to] : all_) {
      if (to[last] != (*batch)[d] * size) return false;
    }
    return true;
  }

  const CoupledImages& call_;
  cuda::CallScope* scope_;
  std::vector<Each> all_;
};

bool Varies(const Strides& strides) {
  for (const int64_t s : strides.image) {
    if (s != 0) return true;
  }
  return false;
}

// The operands after those of an image: a group has one for each axis.
struct Groups {
  AxisOperands lams, duals, lengths, directions;

  static ffi::ErrorOr<Groups> Of(const CoupledImages& call, ffi::RemainingArgs args, bool linear) {
    Groups groups;
    const auto set = [&](size_t group, const char* name, bool channels, AxisOperands* to) {
      auto found = AxisOperands::Of(call, args, group, linear ? 4 : 2, name, channels);
      if (found.has_error()) return found.error();
      *to = std::move(*found);
      return ffi::Error::Success();
    };
    for (auto error : {set(0, "lam", false, &groups.lams), set(1, "dual", true, &groups.duals)}) {
      if (error.failure()) return ffi::Unexpected(error);
    }
    for (const auto& dual : groups.duals.buffers) {
      if (auto error = CheckLike(call.x, dual, "a dual"); error.failure()) {
        return ffi::Unexpected(error);
      }
    }
    if (!linear) return groups;
    for (auto error : {set(2, "length", false, &groups.lengths),
                       set(3, "direction", true, &groups.directions)}) {
      if (error.failure()) return ffi::Unexpected(error);
    }
    return groups;
  }
};

// Numbers for each image.
struct Numbers {
  Strides done, due, varied;

  static ffi::ErrorOr<Numbers> Of(const CoupledImages& call, ffi::AnyBuffer done,
                                  ffi::AnyBuffer due, ffi::AnyBuffer varied) {
    auto of_done = call.Numbers(done, ffi::S32, "iterations done");
    if (of_done.has_error()) return ffi::Unexpected(of_done.error());
    auto of_due = call.Numbers(due, ffi::S32, "iteration due");
    if (of_due.has_error()) return ffi::Unexpected(of_due.error());
    auto of_varied = call.Numbers(varied, ffi::PRED, "flag");
    if (of_varied.has_error()) return ffi::Unexpected(of_varied.error());
    return Numbers{std::move(*of_done), std::move(*of_due), std::move(*of_varied)};
  }
};

ffi::Error Steps(cudaStream_t stream, ffi::AnyBuffer y, ffi::AnyBuffer source, ffi::AnyBuffer done,
                 ffi::AnyBuffer due, ffi::AnyBuffer varied, ffi::AnyBuffer data_weight,
                 ffi::RemainingArgs args, ffi::Result<ffi::AnyBuffer> result,
                 ffi::RemainingRets rets, ffi::Span<const int64_t> axes, bool isotropic,
                 bool periodic, int64_t count) try {
  const auto call = CoupledImages::Of(y, axes);
  if (call.has_error()) return call.error();
  if (count < 1 || count > cuda::kMostIterations) return Refuse("must be 1 to 32");
  const size_t num_axes = axes.size() - 1;
  const bool linear = args.size() == 4 * num_axes;
  const auto numbers = Numbers::Of(*call, done, due, varied);
  if (numbers.has_error()) return numbers.error();
  const auto of_m = call->Broadcast(data_weight, "data_weight", true);
  if (of_m.has_error()) return of_m.error();
  const auto groups = Groups::Of(*call, args, linear);
  if (groups.has_error()) return groups.error();
  const auto duals = DualResults(*call, rets, 1);
  if (duals.has_error()) return duals.error();
  if (auto error = CheckLike(y, source, "the source"); error.failure()) return error;
  if (auto error = CheckLike(y, *result, "the result"); error.failure()) return error;
  const auto last = rets.get<ffi::AnyBuffer>(num_axes);
  if (last.has_error()) return Refuse("need work space");
  auto space = *last;
  const int64_t bytes = y.element_count() * cuda::kStepsAxisBytes * int64_t(axes.size());
  if (auto error = cuda::CheckWorkSpace(*space, bytes); error.failure()) return error;
  const auto& sizes = call->images.image.size;
  const int64_t sample_bytes = y.element_type() == ffi::F64 ? 8 : 4;
  if (y.element_count() == 0) return ffi::Error::Success();
  if (!cuda::FitsRegion(sizes, sample_bytes)) {
    return Refuse("of shape " + ToString(y.dimensions()) +
                  " need more shared memory than this device has: compile the program on it");
  }
  cuda::CallScope scope;
  scope.Input(y, "y");
  scope.Input(source, "source");
  scope.Output(*result, "the result");
  scope.Output(*space, "scratch");
  return DispatchFloat(y.element_type(), [&](auto zero) -> ffi::Error {
    using T = decltype(zero);
    cuda::Iterations<T> p{};
    Fields fields(*call, &scope);
    fields.Add(done, numbers->done, &p.done);
    fields.Add(due, numbers->due, &p.due);
    fields.Add(varied, numbers->varied, &p.varied);
    fields.Add(data_weight, *of_m, &p.data_weight);
    p.channels = int(sizes[0]);
    p.isotropic = isotropic;
    p.periodic = periodic;
    p.linear = linear;
    p.data_vary = Varies(*of_m);
    p.count = int(count);
    p.source = static_cast<const T*>(source.untyped_data());
    const auto data = [](ffi::AnyBuffer buffer) { return static_cast<T*>(buffer.untyped_data()); };
    cuda::State<T> from{data(y), {}}, to{data(*result), {}};
    for (size_t a = 0; a < num_axes; ++a) {
      fields.Add(groups->lams.buffers[a], groups->lams.strides[a], &p.lams[a]);
      p.lams_vary = p.lams_vary || Varies(groups->lams.strides[a]);
      scope.Input(groups->duals.buffers[a], "a dual");
      scope.Output((*duals)[a], "a dual");
      from.duals[a] = data(groups->duals.buffers[a]);
      to.duals[a] = data((*duals)[a]);
      if (!linear) continue;
      fields.Add(groups->lengths.buffers[a], groups->lengths.strides[a], &p.lengths[a]);
      fields.Add(groups->directions.buffers[a], groups->directions.strides[a], &p.directions[a]);
    }
    if (auto error = fields.SetBatch(&p); error.failure()) return error;
    const std::vector<int> lengths(sizes.begin() + 1, sizes.end());
    return cuda::ToError(cuda::Iterate<T>(stream, p, lengths, from, to, data(*space)));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(
    kSteps, Steps,
    ffi::Ffi::Bind()
        .Ctx<cuda::Stream>()
        .Arg<ffi::AnyBuffer>()  // y
        .Arg<ffi::AnyBuffer>()  // source
        .Arg<ffi::AnyBuffer>()  // done
        .Arg<ffi::AnyBuffer>()  // due
        .Arg<ffi::AnyBuffer>()  // varied
        .Arg<ffi::AnyBuffer>()  // data_weight
        .RemainingArgs()        // for each axis lam, dual, and perhaps length, direction
        .Ret<ffi::AnyBuffer>()  // y
        .RemainingRets()        // a dual for each axis, work space
        .Attr<ffi::Span<const int64_t>>("axes")
        .Attr<bool>("isotropic")
        .Attr<bool>("periodic")
        .Attr<int64_t>("count"),
    {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers IsotropicStepsHandlers() { return {{"jaxtv_isotropic_steps", kSteps}}; }

}  // namespace jaxtv
