"""Write the generated manifests: `python -m deploy.k8s.generate`."""

from deploy.k8s.generate.files import ROOT, generated


def main() -> None:
    """Write what differs."""
    for path, text in generated().items():
        target = ROOT / path
        if not target.exists() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            print(path)


if __name__ == "__main__":
    main()
