class LoaderParameters: pass
